"""The queue's neighbours: tables that hold keys and times only, and therefore belong to no account."""

from django.db import models


class PaceBucket(models.Model):
    """When the next request to one CRM account may go. The key is a hash; see ``pace.py``."""

    key = models.CharField(max_length=60, primary_key=True)
    free_at = models.DateTimeField()

    class Meta:
        db_table = "pace_buckets"
