"""Tuning by preferences: DPO and policy gradient on a frozen model; start with `preference_tuning`."""
