"""`quadglass send`: cameras and files of this machine into a live stream of a service."""
