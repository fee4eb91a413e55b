"""What streamlit runs for every visit."""

from bq_monitor.dashboard.page import main

main()
