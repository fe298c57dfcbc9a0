"""The published hourglasses: their checkpoints read, their pictures decoded as published."""
