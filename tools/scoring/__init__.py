"""Compares findings with a key.

findings  the JSON lines that payswitch prints
books     which line and which item belong to which error, and what was found of each
expected  whether an expected finding is there
rules     what each rule has decided
result    the numbers
shown     how they are printed
"""
