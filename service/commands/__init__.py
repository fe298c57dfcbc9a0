"""The commands of `quadglass`, one file each; `service/cli.py` puts them together."""
