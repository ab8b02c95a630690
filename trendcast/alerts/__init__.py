"""Alerts: what a message says, and how it leaves the house. No SQL; services.alerts decides who gets what and when."""
