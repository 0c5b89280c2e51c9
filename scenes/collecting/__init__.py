"""The verb ``collect``: whole episodes of an agent or a person as a Minari data set."""
