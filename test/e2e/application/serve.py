"""Django's own admin site, unmodified, behind Werkzeug's ProxyFix: how Python applications learn where they are."""

import os
import subprocess
import sys
from pathlib import Path

import django
from django.core.management import call_command

folder = Path(sys.argv[1])
subprocess.run([sys.executable, "-m", "django", "startproject", "project", folder], check=True)
settings = folder / "project" / "settings.py"
settings.write_text(
    settings.read_text() + "\nALLOWED_HOSTS = ['*']\nSTATIC_URL = 'static/'  # below the prefix, wherever that is\n"
)
sys.path.insert(0, str(folder))
os.chdir(folder)
os.environ["DJANGO_SETTINGS_MODULE"] = "project.settings"
django.setup()
call_command("migrate", verbosity=0)
# Name and password come from the environment: DJANGO_SUPERUSER_USERNAME, _PASSWORD, _EMAIL.
call_command("createsuperuser", interactive=False, verbosity=0)

import django.contrib.admin  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from werkzeug.middleware.proxy_fix import ProxyFix  # noqa: E402
from werkzeug.middleware.shared_data import SharedDataMiddleware  # noqa: E402
from werkzeug.serving import make_server  # noqa: E402

static = str(Path(django.contrib.admin.__file__).parent / "static")
application = SharedDataMiddleware(get_wsgi_application(), {"/static": static})
server = make_server(
    "127.0.0.1", 0, ProxyFix(application, x_for=1, x_proto=1, x_host=1, x_prefix=1), threaded=True
)
print(f"listens on {server.server_port}", flush=True)
server.serve_forever()
