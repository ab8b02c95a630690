"""Early warning: what sold otherwise than expected, how sure that is, why, and what it costs. Arrays in, words out."""
