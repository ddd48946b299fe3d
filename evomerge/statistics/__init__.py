"""Comparing models on the same items: tests, intervals, and what could have been found.

aggregation  how a task's items become its value, as a function of two sums
sample       what the items of several models contribute to one number
mcnemar      the exact test for items that are right or wrong
swaps        the permutation test for all others
holm         several tests at once
bootstrap    intervals, from resampled items
power        the smallest gain that so many items could have shown

Everything is paired: models are compared item by item. Everything random is drawn from a seed.
"""
