"""Whatever listens: decoding, measuring, quality, speech, fingerprints."""
