"""Which licences a mix is under, what they allow, and the attributions that they ask for."""
