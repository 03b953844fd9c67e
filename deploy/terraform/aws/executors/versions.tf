terraform {
  # 1.9 lets a validation look at other variables.
  required_version = "~> 1.9"

  required_providers {
    aws = {
      source = "hashicorp/aws"
      # 6.33 has nested virtualisation.
      version = "~> 6.33"
    }
  }
}
