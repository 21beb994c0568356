"""The site: guides and reference in Markdown, and the hook that makes its links."""
