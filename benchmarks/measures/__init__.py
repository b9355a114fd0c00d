"""The measurements, one a file: what is measured, how, and what it is compared with."""
