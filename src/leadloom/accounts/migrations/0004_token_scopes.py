"""What an API token is good for. Tokens there are, and those that older code makes meanwhile, may do all they could."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0003_attempts")]

    operations = [
        migrations.AddField(
            model_name="apitoken",
            name="scope",
            field=models.CharField(
                choices=[("read", "Read"), ("full", "Read and change, as an admin may")],
                db_default="full",
                default="full",
                max_length=10,
            ),
        )
    ]
