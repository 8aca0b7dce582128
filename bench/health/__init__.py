"""What health checks cost: kernelbal's checker beside keepalived's, on the same kernel in the same run."""
