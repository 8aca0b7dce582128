"""Health as decisions: what is probed, what replies mean, what follows for weights. No clock, no socket."""
