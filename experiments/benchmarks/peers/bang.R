# Independent draws of (alpha, beta) and all rates by bang, under its default hyperprior, which is
# (alpha + beta)^(-5/2):
#   Rscript bang.R rat_tumors.csv
# Prints the posterior mean of the first rate, and seconds for 10,000 draws.
suppressMessages(library(bang))
rats <- as.matrix(read.csv(commandArgs(TRUE)[1])[, c("tumors", "rats")])
draws <- 10000
set.seed(1)
hef(model = "beta_binom", data = rats, n = 100)
begin <- proc.time()[["elapsed"]]
found <- hef(model = "beta_binom", data = rats, n = draws)
seconds <- proc.time()[["elapsed"]] - begin
cat(sprintf("first rate %.4f\nseconds %.6f\n", mean(found$theta_sim_vals[, 1]), seconds))
