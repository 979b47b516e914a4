"""How fast and how large this is, beside what one would take instead; `python -m bench`."""
