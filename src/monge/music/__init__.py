"""NES music and MIDI: piano rolls, their metrics and plots, and a chip synthesizer."""
