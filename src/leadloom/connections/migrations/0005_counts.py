"""The count proof: what the CRM told, what we held, and since when the two differ."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("connections", "0004_sweeps")]

    operations = [
        migrations.AddField(
            model_name="connection",
            name="counted_at",
            field=models.DateTimeField(null=True, help_text="When the CRM was last asked how many contacts it has."),
        ),
        migrations.AddField(
            model_name="connection",
            name="counted_crm",
            field=models.IntegerField(null=True, help_text="What it told; null when that proves nothing."),
        ),
        migrations.AddField(
            model_name="connection",
            name="counted_ours",
            field=models.IntegerField(null=True, help_text="How many we accounted for at that moment."),
        ),
        migrations.AddField(
            model_name="connection",
            name="differs_since",
            field=models.DateTimeField(null=True, help_text="When the two were first seen to differ by so many."),
        ),
    ]
