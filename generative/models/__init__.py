"""GAN, VAE, flows and DeepCluster: one algorithm a file."""
