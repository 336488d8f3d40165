"""Is the judge calibrated? Simulations of statistics with a known answer, and the page made of them."""
