"""The site: guides that are executed, and a page for each claim, made of what the claim says."""

import os
import sys
from importlib.metadata import version as installed
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
# Kernels ask for colours; what a command prints is shown as a file would have it.
os.environ["TTY_COMPATIBLE"] = "0"

project = "limitpoint"
author = "The limitpoint authors"
project_copyright = "The limitpoint authors, Apache-2.0"
release = installed("limitpoint")
version = release

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "extension.claims",
    "extension.docstrings",
    "extension.mathml",
]
exclude_patterns = ["templates", "extension", "recipes", "reproductions", "test_*.py"]
html_math_renderer = "mathml"

# Every cell runs in every build, and one that fails fails the build.
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_in_temp = True
nb_execution_timeout = 600
nb_merge_streams = True
myst_enable_extensions = ["attrs_block", "attrs_inline", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "show-inheritance": False}
default_role = "code"
add_module_names = False
python_maximum_signature_line_length = 80
copybutton_exclude = ".linenos, .gp, .go"

html_theme = "pydata_sphinx_theme"
html_title = "limitpoint"
html_static_path = ["_static", "../core/limitpoint/views/report/templates/curves.css"]
html_css_files = ["site.css", "curves.css"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "logo": {"text": "limitpoint"},
    "navbar_end": ["theme-switcher"],
    "navbar_align": "left",
    "header_links_before_dropdown": 5,
    "secondary_sidebar_items": {page: ["page-toc"] for page in ("*", "how/*", "api/*", "claims/*")},
    "footer_start": ["copyright"],
    "footer_end": [],
    "show_prev_next": True,
    "navigation_with_keys": True,
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
html_sidebars = {page.stem: [] for page in Path(__file__).parent.glob("*.md")}
