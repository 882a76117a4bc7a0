"""Fast twins of hot primitives: random engines for host and device, and fused CUDA kernels."""
