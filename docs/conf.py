"""Configuration of the documentation site; `bash scripts/docs` builds it."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

import faceflow

project = "FaceFlow"
author = "The FaceFlow developers"
project_copyright = author
version = release = faceflow.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "generated"]
exclude_patterns = ["_build", "_ext"]

# Links between pages are relative Markdown links, and every heading can be linked to, as on GitHub.
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]
nb_execution_mode = "off"  # `bash scripts/docs --notebooks` runs them

smartquotes = False
default_role = "code"  # `x` in docstrings
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 80
napoleon_use_ivar = True

html_theme = "furo"
html_title = f"FaceFlow {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
