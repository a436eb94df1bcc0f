# Coverage of Rgbp's intervals on data sets like the rats, simulated and fitted one by one:
#   Rscript rgbp.R rat_tumors.csv
# Prints the average coverage, and seconds a data set.
suppressMessages(library(Rgbp))
rats <- read.csv(commandArgs(TRUE)[1])
data_sets <- 100
set.seed(1)
fit <- gbp(rats$tumors, rats$rats, model = "binomial")
begin <- proc.time()[["elapsed"]]
found <- coverage(fit, nsim = data_sets)
seconds <- (proc.time()[["elapsed"]] - begin) / data_sets
cat(sprintf("coverage %.4f\nseconds %.6f\n", mean(found$coverageRB), seconds))
