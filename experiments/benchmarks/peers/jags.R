# The rat tumours in JAGS, same posterior:
#   Rscript jags.R rat_tumors.csv FOLDER-OF-rats.jags [ITERATIONS [DRAWS.csv]]
# Of other data with the same columns, too. The draws, if asked for, have a column for the chain.
suppressMessages(library(rjags))
arguments <- commandArgs(TRUE)
rats <- read.csv(arguments[1])
iterations <- if (length(arguments) > 2) as.integer(arguments[3]) else 10000
set.seed(1)
data <- list(tumors = rats$tumors, rats = rats$rats, J = nrow(rats), zero = 0)
begin <- proc.time()[["elapsed"]]
model <- jags.model(file.path(arguments[2], "rats.jags"), data = data, n.chains = 4,
                    n.adapt = 1000, quiet = TRUE)
update(model, 1000, progress.bar = "none")
warm <- proc.time()[["elapsed"]]
draws <- coda.samples(model, c("logit_mean", "log_concentration"), n.iter = iterations,
                      progress.bar = "none")
end <- proc.time()[["elapsed"]]
if (length(arguments) > 3) {
  chains <- lapply(seq_along(draws), function(i) cbind(chain = i, as.data.frame(draws[[i]])))
  write.csv(do.call(rbind, chains), arguments[4], row.names = FALSE)
  cat(sprintf("seconds %.4f %.4f\n", warm - begin, end - warm))
}
ess <- min(effectiveSize(draws))
cat(sprintf("ESS %.0f, %.0f a second sampling, %.0f overall\n", ess, ess / (end - warm),
            ess / (end - begin)))
