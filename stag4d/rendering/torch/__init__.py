"""The reference backend: plain torch operations, any device, float32 and float64, gradients by autograd."""
