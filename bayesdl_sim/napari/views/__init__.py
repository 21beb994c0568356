"""The window of the plugin: the widget, its tabs, and the threads that they work in."""
