"""How fast the platform is, as ratios to yardsticks taken on the same machine in the same run (`make bench`)."""
