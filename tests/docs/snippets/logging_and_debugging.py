"""Choose what is logged; show the versions in use."""

import os

import icechunk

# Via environment variable
os.environ["ICECHUNK_LOG"] = "icechunk=debug"

# Or via API
icechunk.set_logs_filter("debug,icechunk=trace")

# Print debug info (versions, packages)
icechunk.print_debug_info()

icechunk.set_logs_filter(None)
