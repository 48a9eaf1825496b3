"""Maps between two measures: input-convex networks, domains, colors."""
