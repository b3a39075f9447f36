"""nginx for tests, in the foreground and in a folder of its own."""

from pathlib import Path


def nginx(folder: Path, http: str) -> tuple[str, ...]:
    """Write a configuration; return the command that serves by it.

    @param http: what is in its block C{http} besides; paths in it are relative to the folder.
    """
    folder = folder.resolve()
    temporary = "".join(
        f"{name}_temp_path {folder}/{name};"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    configuration = folder / "nginx.conf"
    configuration.write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log stderr notice; events {{}}"
        f" http {{ access_log off; {temporary} {http} }}"
    )
    return ("nginx", "-e", "stderr", "-c", str(configuration), "-p", str(folder))
