"""What a unified file holds, as a card for people: text in the terminal, or a page with plots."""
