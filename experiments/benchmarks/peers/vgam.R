# Type-2 maximum likelihood of the beta-binomial by VGAM:
#   Rscript vgam.R rat_tumors.csv
# Prints the estimate of (alpha, beta), and seconds a fit after the first.
suppressMessages(library(VGAM))
rats <- read.csv(commandArgs(TRUE)[1])
fit <- function() {
  vglm(cbind(tumors, rats - tumors) ~ 1, betabinomialff, data = rats, trace = FALSE)
}
found <- exp(coef(fit()))
repeats <- 20
begin <- proc.time()[["elapsed"]]
for (i in seq_len(repeats)) fit()
seconds <- (proc.time()[["elapsed"]] - begin) / repeats
cat(sprintf("alpha %.6f beta %.6f\nseconds %.6f\n", found[1], found[2], seconds))
