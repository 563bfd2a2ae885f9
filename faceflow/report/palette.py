"""Colours of all pictures and pages: greys, and Okabe and Ito's palette, which is safe for colour-blind readers."""

BLUE, SKY, GREEN = "#0072B2", "#56B4E9", "#009E73"
VERMILION, AMBER, PURPLE = "#D55E00", "#E69F00", "#CC79A7"
INK, GRAY, PALE = "#222222", "#707070", "#DDDDDD"
GAP, ACTIVE = "#F1F1F1", "#FBE3D3"  # behind the curves of a timeline: no face, active
