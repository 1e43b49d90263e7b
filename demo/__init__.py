"""The demo: from rendered scores to an answered query, with unisono's own commands. Run by `make demo`.

scores        reads compositions from music21's corpus
instruments   the instruments of the soundfont
arrange       arranges a composition: instruments, tempo, accompaniment; states what can be heard in the result
captions      describes it in words, as people, a model and tags would
render        turns arrangements into mp3 files, in child processes
casting       assigns compositions to datasets
layouts       write each dataset as its official release
making        makes the releases from all of these
commands      runs unisono's commands as a user would
targets       measures the outcome and compares it with targets
"""
