"""The live page over the warehouse: reads the views, changes nothing but alerts, and those only for somebody it knows."""
