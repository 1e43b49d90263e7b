"""Sweeps: trainings that differ in their options, compared on the val split with several seeds.

plan      reads a sweep file and lists its trials
run       trains what is missing, on one or several devices
outcome   the table, the intervals, and the winner
"""
