"""The training loop and what feeds it: with the network itself, all that needs PyTorch."""
