"""`python -m host_tests.lab.clean`: remove what crashed runs of the lab left behind."""

from host_tests.lab.run_directory import remove_leftovers


def main() -> None:
    removed = remove_leftovers()
    for name in removed:
        print("removed", name)
    if not removed:
        print("nothing left behind")


if __name__ == "__main__":
    main()
