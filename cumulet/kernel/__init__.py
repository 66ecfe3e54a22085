"""The kernel: store, clock, timers, effects, trace, and the pipeline that services run in."""
