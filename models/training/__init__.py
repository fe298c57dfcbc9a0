"""The training loop and what feeds it; the only part of the product besides the network that needs PyTorch."""
