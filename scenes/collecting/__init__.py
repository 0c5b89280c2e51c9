"""The verb collect: whole episodes as a Minari data set."""
