"""AI Texter: handing new leads over to a texting service. The only part of Leadloom that sends anything."""
