"""`python -m kernelbal` is the same as `kernelbal`."""

from kernelbal.cli.app import main

if __name__ == "__main__":
    main()
