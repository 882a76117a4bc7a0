"""Directed models with latent variables: belief nets, Helmholtz machines, variational autoencoders."""
