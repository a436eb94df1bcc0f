# The rat tumours in JAGS, same posterior: Rscript jags.R rat_tumors.csv FOLDER-OF-rats.jags
suppressMessages(library(rjags))
arguments <- commandArgs(TRUE)
rats <- read.csv(arguments[1])
set.seed(1)
data <- list(tumors = rats$tumors, rats = rats$rats, J = nrow(rats), zero = 0)
begin <- proc.time()[["elapsed"]]
model <- jags.model(file.path(arguments[2], "rats.jags"), data = data, n.chains = 4,
                    n.adapt = 1000, quiet = TRUE)
update(model, 1000, progress.bar = "none")
warm <- proc.time()[["elapsed"]]
draws <- coda.samples(model, c("logit_mean", "log_concentration"), n.iter = 10000,
                      progress.bar = "none")
end <- proc.time()[["elapsed"]]
ess <- min(effectiveSize(draws))
cat(sprintf("ESS %.0f, %.0f a second sampling, %.0f overall\n", ess, ess / (end - warm),
            ess / (end - begin)))
