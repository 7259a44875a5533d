"""How setuptools builds branchctl's package: without what an earlier build has left."""

import shutil

from setuptools.command.build_py import build_py


class FreshBuild(build_py):
    """Modules that are no longer in the checkout would otherwise stay in the package."""

    def run(self) -> None:
        if not self.editable_mode:
            shutil.rmtree(self.build_lib, ignore_errors=True)
        super().run()
